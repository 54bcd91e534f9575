"""The web room: HTTP, the live push to the consoles, and the files of the browser console."""
