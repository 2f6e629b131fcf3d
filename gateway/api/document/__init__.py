"""The documents of what is outside: OpenAPI for the routes, AsyncAPI for what is published and delivered.

Nothing here is run by a request. The routes read bodies strictly by hand, so that one answer names all that is wrong;
the shapes in this folder say the same for readers and generators, and tests hold the answers to them.
"""
