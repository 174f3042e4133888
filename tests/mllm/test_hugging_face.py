"""transformers and peft come in by one door, without torchvision, and nothing else needs them."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
for name in ("transformers", "peft", "tokenizers"):
    sys.modules[name] = None
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_transformers_never_imports_torchvision():
    done = run(
        "import sys\n"
        "from lmeec.mllm.hugging_face import CLIPVisionModel, MistralForCausalLM, get_peft_model\n"
        "from transformers import CLIPImageProcessor\n"
        "from transformers.utils import is_torchvision_available\n"
        "assert not is_torchvision_available()\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torchvision', 'timm')])\n"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_without_the_extra_the_error_says_how_to_install_it():
    done = run(
        BLOCKED + "from lmeec.errors import ConfigError\n"
        "try:\n    import lmeec.mllm.hugging_face\nexcept ConfigError as error:\n    print(error)\n"
    )
    assert "Exo2Ego needs transformers and peft" in done.stdout, done.stderr
    assert "'.[mllm]'" in done.stdout


@pytest.mark.parametrize("command", [["--help"], ["predict", "--help"], ["train", "--help"]])
def test_commands_need_no_transformers(command):
    done = run(BLOCKED + f"import sys\nsys.argv = ['lmeec', *{command!r}]\nfrom lmeec_cli.main import main\nmain()\n")
    assert done.returncode == 0, done.stderr


def test_importing_lmeec_and_the_configurations_needs_no_transformers():
    done = run(BLOCKED + "import lmeec, lmeec.mllm, lmeec.mllm.config, lmeec.mllm.batch\nprint('ok')\n")
    assert done.stdout.strip() == "ok", done.stderr
