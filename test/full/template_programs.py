"""Renders templates as Transformers does: the oracle of template.test.ts.
Reads JSON from stdin: {"cases": [{"template": …, "variables": …}, …]}; writes for each ["text", text] or ["error", class, message]."""
import json
import resource
import signal
import sys
import warnings

from transformers.utils.chat_template_utils import _compile_jinja_template

warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
SECONDS = 5


def render(case):
    def late(*_):
        raise TimeoutError(f"more than {SECONDS} seconds")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return ["text", _compile_jinja_template(case["template"]).render(**case.get("variables", {}))]
    except Exception as error:
        return ["error", type(error).__name__, str(error)]
    finally:
        signal.alarm(0)


json.dump([render(case) for case in json.load(sys.stdin)["cases"]], sys.stdout)
