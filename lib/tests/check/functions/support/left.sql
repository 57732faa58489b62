create function f(a text, b text) returns boolean language internal immutable strict as 'textlike';
