"""Archives that publishers offer: downloaded, and unpacked safely. What is in them the sources know."""
