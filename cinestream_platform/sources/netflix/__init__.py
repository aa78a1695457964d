"""Netflix Prize: 100,480,507 ratings of films as text files, and the films' titles."""
