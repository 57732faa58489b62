create language l handler h inline i;
