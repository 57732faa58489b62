create language l handler g;
