"""Pydantic models of every schema in a folder: python generate_models.py IN OUT, in `.venv-types`; see generate.py."""

import sys
from pathlib import Path

from datamodel_code_generator import (
    DataModelType,
    Formatter,
    InputFileType,
    LiteralType,
    PythonVersion,
    generate,
)

source, target = map(Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
for file in sorted(source.glob("*.json")):
    generate(
        file,
        input_file_type=InputFileType.JsonSchema,
        output=target / f"{file.stem}.py",
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        custom_file_header="\n",  # generate.py writes another; the default has the time in it
        formatters=[Formatter.BLACK, Formatter.ISORT],
        extra_fields="allow",  # a newer sender adds members, and an older reader keeps them
        enum_field_as_literal=LiteralType.All,
        use_title_as_name=True,
        use_schema_description=True,
        use_field_description=True,
        use_standard_collections=True,
        use_union_operator=True,
        use_annotated=True,
        field_constraints=True,
        use_double_quotes=True,
        wrap_string_literal=False,
    )
