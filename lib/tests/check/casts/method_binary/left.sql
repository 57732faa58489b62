create cast (b as text) without function;
