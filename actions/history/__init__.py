"""A local, encrypted history of watched configuration: versions of files are kept, shown, and put back."""
