"""From joints to the tool and back."""
