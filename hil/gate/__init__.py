"""What stops a release: policy, case tree and runs held against each other."""
