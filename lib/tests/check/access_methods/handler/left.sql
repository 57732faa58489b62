create access method a type index handler h;
