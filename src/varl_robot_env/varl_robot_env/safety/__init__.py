"""What stands between an action and the arm."""
