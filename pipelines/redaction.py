"""Takes credentials out of text that is shown, logged or sent.

An address may hold a login (``https://user:password@host/``). Messages name addresses, and go to
terminals, logs of Airflow's tasks and mailboxes.
"""

import re
from urllib.parse import unquote, urlsplit

USER_INFO = re.compile(r"(?<=://)[^/\s'\"<>]*@")
"""What precedes the host in an address; a slash in it must be written %2F."""
HIDDEN = "***@"


def without_credentials(text: str) -> str:
    """The text, with ``***`` for the login of each address in it."""
    return USER_INFO.sub(HIDDEN, text)


def password_of(url: str) -> str | None:
    """The password in an address, as it would be sent; ``None`` where it holds none."""
    password = urlsplit(url).password
    return unquote(password) if password else None
