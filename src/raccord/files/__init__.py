"""Objects that travel from one environment's store to another's."""
