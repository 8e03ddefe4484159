"""A trained policy at work: played for as long as wanted, or exported to where there is no VARL."""
