create trusted language l handler h;
