"""Object stores: buckets of S3 and its kin, and local directories, behind one small protocol."""
