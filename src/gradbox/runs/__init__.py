"""Methods run over many images: into folders, scored, compared."""
