"""Files that Dumbwaiter has received, as ordinary ``request.FILES``.

A form at one of Dumbwaiter's upload paths reaches Django without its files: fields say where they lie, and a signed
statement vouches for them::

    form -> conf (the key, the folders) -> signed (is it Dumbwaiter's?) -> statement (what it says)
         -> received (the files, opened where they lie) -> handler -> request.POST, request.FILES

``middleware`` puts the handler in front of Django's own, ``checks`` looks at the settings when Django starts, ``views``
answers Dumbwaiter's question who may.
"""
