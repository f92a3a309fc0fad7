"""Generated workspaces, and the measurements that are made on them."""
