"""VARL on the bench: tasks, scripted advisors, rivals, and the tables that compare them."""
