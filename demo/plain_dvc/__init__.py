"""The pipeline `flights` as one writes it with DVC alone, to compare with."""
