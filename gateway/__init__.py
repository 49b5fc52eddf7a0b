"""The HTTP gateway: what OpenAI's clients ask, answered by a router.

Owns everything about HTTP: addresses, bodies, headers, statuses. Must not know how a request is routed. Needs the extra
``server``: ``pip install 'lascaux[server]'``.
"""
