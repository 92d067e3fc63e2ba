"""What `collect_env` prints about the extension. Can go with the package."""


def get_compiler_version() -> str:
    return 'none (vitmm.compat stands in for the compiled ops)'


def get_compiling_cuda_version() -> str:
    return 'not available'
