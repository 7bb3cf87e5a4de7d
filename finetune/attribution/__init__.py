"""Which lever moved the gap, data or upstream, and by how much data: a randomised factorial and curves over doses."""
