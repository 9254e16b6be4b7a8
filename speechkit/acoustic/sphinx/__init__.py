"""The English acoustic model inside the pocketsphinx package, computed by speechkit itself."""
