"""What answers are worth: by task, with intervals over videos."""
