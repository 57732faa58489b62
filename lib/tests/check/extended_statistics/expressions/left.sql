create statistics s on a, (b + c) from t;
