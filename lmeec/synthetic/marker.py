"""The file that says of a data set's folder that its takes are drawn."""

MARKER = "synthetic.json"
