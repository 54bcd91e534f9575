"""Ask the hub of this container whether it is ready; ends with 0 if so, else with 1 and the reason."""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 8.0  # the hub itself gives its dependencies 5 s


def main() -> int:
    """Return the exit status."""
    url = f"http://127.0.0.1:{os.environ.get('CTG_HTTP_PORT', '8000')}/readyz"
    # Docker hands the proxies of its own settings to every container; this must not go through them.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S):
            return 0
    except urllib.error.HTTPError as error:
        reason = error.read(2000).decode("utf-8", "replace")
    except OSError as error:
        reason = str(error)
    sys.stderr.write(f"{url}: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
