"""What pyproject.toml cannot say: an editable install that editors understand.

By itself setuptools would map the folders at the root to sub-packages by code
that runs when Python starts, which type checkers and editors do not see. Links
in `src`, and a plain path to it, are the same to Python and to them.
"""

from os.path import relpath
from pathlib import Path

from setuptools import setup
from setuptools.command.editable_wheel import editable_wheel


class LinkedEditableWheel(editable_wheel):
    def run(self) -> None:
        try:
            for name, folder in self.package_dir.items():
                link = Path("src", *name.split("."))
                if not link.exists():
                    link.symlink_to(relpath(folder, link.parent))
        except OSError as error:
            self.warn(f"type checkers will not find the sub-packages: {error}")
        else:
            self.package_dir = {"": "src"}
        super().run()


setup(cmdclass={"editable_wheel": LinkedEditableWheel})
