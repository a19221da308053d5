"""The page that teaches: its template, style and script, and the Python that fills them; it imports no torch."""
