"""Ways to reach an environment: this machine, a host through OpenSSH, a container on either."""
