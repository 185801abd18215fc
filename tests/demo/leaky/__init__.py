"""The suite that leaves things open. Every line that does so ends in the marker that expected.py seeks."""
