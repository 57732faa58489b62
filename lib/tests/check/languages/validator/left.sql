create language l handler h validator v;
