"""What every part stands on: errors, files, audio, parallel work, random draws, tables, figures."""
