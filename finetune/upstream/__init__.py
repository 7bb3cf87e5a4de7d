"""What a model brings along: changing its released weights, and measuring its bias before any fine-tuning."""
