"""The engine: each distinct text is embedded once, ever."""
