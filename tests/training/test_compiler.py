"""torch's compiler, which optimizers import although they need nothing of it."""

import subprocess
import sys

STEP = """
import sys, torch
from sweeper.training.compiler import DeferredCompiler, defer_compiler
defer_compiler()
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad()
"""


def python(code: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_step_of_an_optimizer_does_not_import_the_compiler() -> None:
    python(f"{STEP}\nassert isinstance(sys.modules['torch._dynamo'], DeferredCompiler)")


def test_the_compiler_is_imported_when_something_is_compiled() -> None:
    compiled = "torch.compile(model, backend='eager')(torch.ones(1, 2))"
    marked = "vars(type(optimizer).zero_grad.__wrapped__)['__dynamo_disable']"
    code = f"{STEP}\n{compiled}\noptimizer.zero_grad()\n"
    code += f"assert not isinstance(torch._dynamo, DeferredCompiler)\n{marked}.__name__"
    python(f"{code}\nassert {marked} is not type(optimizer).zero_grad.__wrapped__")


def test_a_network_on_the_meta_device_does_not_import_sympy() -> None:
    code = "import sys, torch\nfrom sweeper.training.compiler import defer_compiler\n"
    code += "defer_compiler()\nwith torch.device('meta'):\n"
    code += "    torch.nn.Conv2d(1, 2, 3)(torch.zeros(1, 1, 8, 8)).sum().backward()\n"
    python(f"{code}assert 'sympy' not in sys.modules")
