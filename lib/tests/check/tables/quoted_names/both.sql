create schema "My ""Schema";
