"""Task files and their data → questions with the text of every option."""
