"""Pictures, figures and the report that people look at."""
