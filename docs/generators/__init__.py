"""Pages that are drawn from the project's files when the site is built; none is committed."""
