"""The English acoustic model of pocketsphinx, computed by speechkit itself."""
