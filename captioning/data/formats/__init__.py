"""Readers of datasets: each module is a format (`data.source.Format`) and is found by itself."""
