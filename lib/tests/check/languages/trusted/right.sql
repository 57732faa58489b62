create language l handler h;
