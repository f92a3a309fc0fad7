"""Changes of watched files in every worktree, who made them, and the reports that gather them."""
