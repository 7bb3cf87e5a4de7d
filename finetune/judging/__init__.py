"""From scores to gaps, intervals and a verdict. Nothing here trains, reads a corpus or imports what does."""
