"""What may not be shown: credentials in URLs, headers and messages of libraries. The one place that takes them out.

A place knows its whole URL, but what is printed of it, logged, put into errors and written into results has been
through `without_secrets`.
"""

from __future__ import annotations

import os
import re

HIDDEN = "***"

USER = r"[^\s/:?#@\"<>]*:(?!\d{1,5}(?:/|\Z))[^\s@?#\"<>]*@|[^\s/?#@\"<>]*@"
"""Who asks, as it stands after a URL's scheme: with a password, which may hold a slash that it should not, or none."""

_URL = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)"
    rf"(?P<user>{USER})?"
    r"(?P<path>[^\s?#'\"<>]*)(?P<query>[?#][^\s'\"<>]*)?"
)
_NAMED = re.compile(
    r"(?i)(?P<name>\b(?:aws_?)?(?:secret(?:_?access)?_?key|access_?key(?:_?id)?|session_?token|security_?token|"
    r"x-amz-(?:security-token|signature|credential)|x-goog-signature|authorization|password|api_?key)\b[\"']?\s*[:=]\s*"
    r"[\"']?(?:(?:bearer|basic|token)\s+)?)(?P<value>[^\s\"',&;]+)"
)
_BEARER = re.compile(r"(?i)\b(?P<name>(?:bearer|basic)\s+)(?P<value>[A-Za-z0-9+/=._~-]{8,})")
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}\b|\bhf_[A-Za-z0-9]{16,}\b")
_IN_ENVIRONMENT = re.compile(r"SECRET|PASSWORD|ACCESS_KEY|_TOKEN\Z")
_SHORTEST = 8  # characters of a secret of the environment; "test" is a word, too


def without_secrets(text: str) -> str:
    """Text with credentials taken out: of URLs who asks and how (user, query), and what looks like a key or token.

    Example:
        >>> without_secrets("cannot read https://ann:pw@host/a.mp4?X-Amz-Signature=0a1b, as it is gone")
        'cannot read https://***@host/a.mp4?***, as it is gone'
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and value in text and _IN_ENVIRONMENT.search(name):
            text = text.replace(value, HIDDEN)
    text = _NAMED.sub(lambda found: f"{found['name']}{HIDDEN}", text)
    text = _BEARER.sub(lambda found: f"{found['name']}{HIDDEN}", text)
    text = _KEY_ID.sub(HIDDEN, text)
    return _URL.sub(_shown_url, text) if "://" in text else text


def without_access(text: str) -> str:
    """One path or URL, or an argument that holds one, to be kept in files: as `without_secrets`, and without a query.

    Of a URL by itself it is known where it ends, so that whatever stands in its query is gone.

    Example:
        >>> without_access("ego2exo=https://ann:pw@host/a b.pt?sig='x' y"), without_access("takes/why?")
        ('ego2exo=https://***@host/a b.pt', 'takes/why?')
    """
    shown = without_secrets(text)
    return re.split(r"[?#]", shown, maxsplit=1)[0] if "://" in shown else shown


def _shown_url(found: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if found["user"] else ""
    query = found["query"] or ""
    after = query[len(query.rstrip(",.;:)]")) :] if query else ""
    return f"{found['scheme']}{user}{found['path']}{query[:1]}{HIDDEN if len(query) > 1 else ''}{after}"
