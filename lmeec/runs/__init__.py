"""Many takes: jobs, who does them, what is done, and how far it is."""
